-- The highest number a node has seen in a room: the head is not below it. KEYS: generation, an absent key, head, ring. ARGV: epoch, seq, its epoch, time, idle ms.
-- What is above the ring's rows is in nobody's tail, so it is stored, and what is below it too.
local state, _, lid = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
redis.call('DEL', KEYS[2])
start_above(KEYS[1], lid, tonumber(ARGV[2]) + JUMP)
local read = redis.call('HMGET', KEYS[3], 'seq', 'time')
if read[1] and tonumber(read[1]) >= tonumber(ARGV[2]) then return state end
local time = math.max(tonumber(read[2] or '0'), tonumber(ARGV[4]))
redis.call('HSET', KEYS[3], 'seq', ARGV[2], 'epoch', ARGV[3], 'stored', ARGV[2], 'last', ARGV[2], 'time', number(time),
  'version', number(now_micros()))
redis.call('DEL', KEYS[4])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return state
