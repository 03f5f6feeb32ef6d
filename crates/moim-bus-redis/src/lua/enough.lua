-- All have handed in, or those who have not are given up: from now on what is staged is merged. KEYS: generation, handed in,
-- waited for. ARGV: epoch, ms to wait for the silent.
local state, since = state_of(KEYS[1], ARGV[1])
if state ~= 'recovering' then return state end
if now_micros() - since < tonumber(ARGV[2]) * 1000 and #redis.call('SDIFF', KEYS[3], KEYS[2]) > 0 then return 'waiting' end
redis.call('HSET', KEYS[1], 'state', 'merging')
return 'merging'
