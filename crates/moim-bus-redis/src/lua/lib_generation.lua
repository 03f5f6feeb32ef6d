-- Prefixed to every script that writes. The replication id is read here, inside Redis, because a connection can outlive a
-- promotion: what a gateway read when it connected proves nothing later. Hidden by some managed offers; then the run id.
local function number(n) return string.format('%.0f', n) end
local function info(section)
  local told = redis.pcall('INFO', section)
  return type(told) == 'string' and told or ''
end
local function replication_id()
  local id = string.match(info('replication'), 'master_replid:(%x+)')
  return id or string.match(info('server'), 'run_id:(%x+)') or 'hidden'
end
local function now_micros()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
-- Whether this partition is in that generation, and open. Also the id of the log's newest entry.
local function is_open(gen_key, epoch)
  local gen = redis.call('HMGET', gen_key, 'replid', 'epoch', 'state', 'lid')
  return gen[2] == epoch and gen[3] == 'open' and gen[1] == replication_id(), tonumber(gen[4] or '0')
end
