-- Merged: the generation opens. KEYS: generation, an absent key, staged. ARGV: epoch, first, channel.
local state, _, _, _, _, items = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
redis.call('DEL', KEYS[2])
-- Gone before it was deleted here: whoever merged may not have read all of it.
if items > 0 and redis.call('EXISTS', KEYS[3]) == 0 then
  begin_anew(KEYS[1], KEYS[3])
  return 'another round'
end
redis.call('HSET', KEYS[1], 'state', 'open', 'first', ARGV[2])
redis.call('HDEL', KEYS[1], 'waited', 'handed', 'missed', 'items', 'was', 'was_lid')
redis.call('DEL', KEYS[3])
redis.call('PUBLISH', ARGV[3], 'O' .. ARGV[1])
return 'open'
