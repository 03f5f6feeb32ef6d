-- What the lease holder sees of the store, when there is nothing to commit. KEYS: generation, an absent key, mark. ARGV: epoch, channel, text.
if not is_open(KEYS[1], ARGV[1]) then return 'stale' end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[3], 'text', ARGV[3])
redis.call('PUBLISH', ARGV[2], 'W0 ' .. ARGV[3])
return 'ok'
