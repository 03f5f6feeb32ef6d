-- One partition's lease. KEYS: lease, an absent key. ARGV: node, ms, what: hold, take or release. Answers the holder, or ''.
-- Renewed by PEXPIRE, and after a DEL: Redis at maxmemory must not starve its own cure.
redis.call('DEL', KEYS[2])
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  -- To hold: by one who has no log of it, and whose release did not come here.
  if ARGV[3] ~= 'take' then redis.call('DEL', KEYS[1]) return '' end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return holder
end
if holder then return holder end
if ARGV[3] ~= 'take' then return '' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
