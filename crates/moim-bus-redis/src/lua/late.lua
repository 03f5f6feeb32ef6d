-- A row handed in when the new generation was open already. KEYS: generation, head, ring, log, answer. ARGV: epoch, room channel,
-- seq, epoch of the row, time, hash, ms its answer is kept, prev and id, event, partition channel. Answers {'known'}, {'dropped'} or {'taken', log id}.
local open, lid = is_open(KEYS[1], ARGV[1])
if not open then return { 'stale' } end
local known = redis.call('GET', KEYS[5])
if known then
  return { string.match(known, '^%d+ (%d+) ') == ARGV[3] and 'known' or 'dropped' }
end
local id = ARGV[3] .. '-0'
if #redis.call('XRANGE', KEYS[3], id, id) > 0 then return { 'known' } end
lid = math.max(lid + 1, now_micros())
redis.call('XADD', KEYS[4], number(lid) .. '-0', 'r', KEYS[2], 'm', ARGV[9])
redis.call('HSET', KEYS[1], 'lid', number(lid))
start_above(KEYS[1], lid, tonumber(ARGV[3]) + JUMP)
redis.call('SET', KEYS[5], number(lid) .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. ARGV[8], 'PX', ARGV[7])
redis.call('PUBLISH', ARGV[2], 'L' .. #ARGV[9] .. '\n' .. ARGV[9])
redis.call('PUBLISH', ARGV[10], 'D')
return { 'taken', number(lid) }
