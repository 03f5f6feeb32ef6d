-- A node lives. KEYS: nodes, an absent key, configuration. ARGV: node (with its role), ms of every lease, configuration hash or '' to leave.
-- Answers {now us, replication id, configuration hash kept here, memory used, maxmemory, policy, node, lease's end ms, ...}: also of
-- nodes whose leases have ended, for a minute.
redis.call('DEL', KEYS[2])
local now = math.floor(now_micros() / 1000)
-- A clock that was set back, or is another Redis's: who lives says so again within its lease, and the dead do not.
redis.call('ZREMRANGEBYSCORE', KEYS[1], number(now + 2 * tonumber(ARGV[2])), '+inf')
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], number(now + tonumber(ARGV[2])), ARGV[1])
  if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('SET', KEYS[3], ARGV[3]) end
end
local memory = info('memory')
local reply = {
  number(now * 1000), replication_id(), redis.call('GET', KEYS[3]) or '',
  string.match(memory, 'used_memory:(%d+)') or '0', string.match(memory, 'maxmemory:(%d+)') or '0',
  string.match(memory, 'maxmemory_policy:(%S+)') or '',
}
for _, part in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) do reply[#reply + 1] = part end
-- After they were told: of an old copy whoever asks first learns who may live, however old it is.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now - 60000))
return reply
