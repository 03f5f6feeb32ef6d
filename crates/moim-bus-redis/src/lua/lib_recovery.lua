-- The state of a partition's generation, if it is that one and this Redis is the one it began on; else 'stale'.
local function state_of(gen_key, epoch)
  local gen = redis.call('HMGET', gen_key, 'replid', 'epoch', 'state', 'since', 'lid')
  if gen[2] ~= epoch or gen[1] ~= replication_id() then return 'stale' end
  return gen[3], tonumber(gen[4]), tonumber(gen[5] or '0')
end
