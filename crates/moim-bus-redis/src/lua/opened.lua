-- Merged: the generation opens. KEYS: generation, handed in, waited for, staged. ARGV: epoch, first, channel.
local state, _, lid = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
redis.call('HSET', KEYS[1], 'state', 'open', 'first', ARGV[2])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('PUBLISH', ARGV[3], 'O' .. ARGV[1])
return 'open'
