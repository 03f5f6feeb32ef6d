-- Where a partition's generation stands; starts a new one only if this Redis is not the one it was opened for, or has lost it.
-- So gateways that notice at different times cannot flap. KEYS: generation, handed in, waited for, staged, log. ARGV: marker, channel.
-- Answers {state, epoch, ms since it began, first, newest log id, 1 if the log is empty}.
local gen = redis.call('HMGET', KEYS[1], 'replid', 'epoch', 'state', 'since', 'first', 'lid')
local replid, now = replication_id(), now_micros()
-- A loss of its data could not be noticed: nothing is promised on such a Redis.
if replid == 'hidden' then return { 'hidden', '', '0', '0', '0', '0' } end
if gen[2] and gen[1] == replid then
  return { gen[3], gen[2], number((now - tonumber(gen[4])) / 1000), gen[5], gen[6] or '0', redis.call('XLEN', KEYS[5]) == 0 and '1' or '0' }
end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'replid', replid, 'epoch', ARGV[1], 'state', 'recovering', 'since', number(now), 'first', '0')
redis.call('PUBLISH', ARGV[2], 'F' .. ARGV[1])
return { 'recovering', ARGV[1], '0', '0', gen[6] or '0', '0' }
