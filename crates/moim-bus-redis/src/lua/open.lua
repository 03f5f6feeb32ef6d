-- Where a partition's generation stands; starts a new one only if this Redis is not the one it was opened for, or has lost it.
-- So gateways that notice at different times cannot flap. KEYS: generation, an absent key, staged, log. ARGV: marker, channel.
-- Answers {state, epoch, when the round began, first, newest log id, 1 if the log is empty, epoch and newest log id of the last
-- generation that was open here: of its log Redis has everything up to there}.
local gen = redis.call('HMGET', KEYS[1], 'replid', 'epoch', 'state', 'since', 'first', 'lid', 'was', 'was_lid')
local replid, now = replication_id(), now_micros()
-- A loss of its data could not be noticed: nothing is promised on such a Redis.
if replid == 'hidden' then return { 'hidden', '', '0', '0', '0', '0', '', '0' } end
if gen[2] and gen[1] == replid then
  local is_empty = redis.call('XLEN', KEYS[4]) == 0 and '1' or '0'
  return { gen[3], gen[2], gen[4], gen[5], gen[6] or '0', is_empty, gen[7] or '', gen[8] or '0' }
end
local was, was_lid = gen[7] or '', gen[8] or '0'
-- A loss of data takes the newest writes and no others, so what this record knows of is there, or was stored.
if gen[3] == 'open' then was, was_lid = gen[2], gen[6] or '0' end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[1], 'replid', replid, 'epoch', ARGV[1], 'state', 'recovering', 'since', number(now), 'first', '0',
  'waited', ' ', 'handed', ' ', 'items', '0', 'was', was, 'was_lid', was_lid)
redis.call('PUBLISH', ARGV[2], 'F' .. ARGV[1])
return { 'recovering', ARGV[1], number(now), '0', gen[6] or '0', '0', was, was_lid }
