-- The highest number that a node has seen in a room, told when the new generation was open already. KEYS: generation, an absent key,
-- head, ring, log. ARGV: epoch, seq, its epoch, time, idle ms. It is in no tail, so it is stored, and what is below it too.
local open, lid = is_open(KEYS[1], ARGV[1])
if not open then return 'stale' end
redis.call('DEL', KEYS[2])
start_above(KEYS[1], lid, tonumber(ARGV[2]) + JUMP)
local read = redis.call('HMGET', KEYS[3], 'seq', 'time', 'late')
-- Not in Redis: the store knows it.
if not read[1] then return 'ok' end
local seq, top = tonumber(ARGV[2]), tonumber(read[1])
if seq > top then
  redis.call('HSET', KEYS[3], 'seq', ARGV[2], 'epoch', ARGV[3], 'stored', ARGV[2], 'last', ARGV[2],
    'time', number(math.max(tonumber(read[2]), tonumber(ARGV[4]))), 'version', number(now_micros()))
  redis.call('DEL', KEYS[4])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
  return 'ok'
end
-- Whether the ring leads past it, as if it had never been.
local above = redis.call('XRANGE', KEYS[4], ARGV[2] .. '-0', '+', 'COUNT', 1)[1]
if not above or above[1] == ARGV[2] .. '-0' then return 'ok' end
local prev = tonumber(string.match(above[2][2], '^%d+ (%d+) ') or ARGV[2])
if prev < seq then note_late(KEYS[3], late_of(read[3], KEYS[5]), prev + 1, seq, lid, top, 0) end
return 'ok'
