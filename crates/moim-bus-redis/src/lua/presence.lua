-- Who is in a room on one node. KEYS: presence of the room, an absent key. ARGV: node, what is kept ('': nobody), ms it is kept, channel, event.
-- First, as Redis at maxmemory refuses a script's first write, but not this one: counts must be right even then.
redis.call('DEL', KEYS[2])
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], 'P' .. number(now_micros()) .. ' ' .. ARGV[5])
return 'ok'
