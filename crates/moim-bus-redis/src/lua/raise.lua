-- The highest number a node has seen in rooms: no head is below it. KEYS: generation, an absent key, then head and ring of each room.
-- ARGV: epoch, idle ms, then for each room: seq, its epoch, time, 1 if also for a room that is not in Redis.
-- What is above the ring's rows is in nobody's tail, so it is stored, and what is below it too.
local state, _, lid = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
redis.call('DEL', KEYS[2])
for i = 3, #KEYS, 2 do
  local seq, epoch, time, always = unpack(ARGV, 2 * i - 3, 2 * i)
  start_above(KEYS[1], lid, tonumber(seq) + JUMP)
  local read = redis.call('HMGET', KEYS[i], 'seq', 'time')
  if read[1] and tonumber(read[1]) < tonumber(seq) or not read[1] and always == '1' then
    time = math.max(tonumber(read[2] or '0'), tonumber(time))
    redis.call('HSET', KEYS[i], 'seq', seq, 'epoch', epoch, 'stored', seq, 'last', seq, 'time', number(time),
      'version', number(now_micros()))
    redis.call('DEL', KEYS[i + 1])
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
return state
