-- The state of a partition's generation, if it is that one and this Redis is the one it began on; else 'stale'. With it: when the
-- round began, the log's newest id, who is to hand in, who has, how many items.
local function state_of(gen_key, epoch)
  local gen = redis.call('HMGET', gen_key, 'replid', 'epoch', 'state', 'since', 'lid', 'waited', 'handed', 'items')
  if gen[2] ~= epoch or gen[1] ~= replication_id() then return 'stale' end
  return gen[3], tonumber(gen[4]), tonumber(gen[5] or '0'), gen[6] or ' ', gen[7] or ' ', tonumber(gen[8] or '0')
end
-- A list of names, each between spaces.
local function with(names, name)
  if string.find(names, ' ' .. name .. ' ', 1, true) then return names end
  return names .. name .. ' '
end
-- What was handed in is gone, or some of it: a new round, in which everybody hands in again.
local function begin_anew(gen_key, staged_key)
  redis.call('DEL', staged_key)
  redis.call('HSET', gen_key, 'state', 'recovering', 'since', number(now_micros()), 'waited', ' ', 'handed', ' ', 'items', '0')
end
