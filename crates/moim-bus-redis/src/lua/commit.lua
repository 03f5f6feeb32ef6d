-- The log's first entries are stored: trim, mark the rooms, say so. KEYS: generation, an absent key, log, mark, dead letters,
-- then head and ring of each room, then answers of dead letters. ARGV: epoch, the last entry's id, idle ms, ring rows, channel,
-- the watermark's text, how many dead, log id and event of each, rooms, lowest and highest seq of each room.
-- DEL first: Redis at maxmemory refuses a script's first write, but not this one, nor what follows a write.
local gen_open = is_open(KEYS[1], ARGV[1])
if not gen_open then return 'stale' end
redis.call('DEL', KEYS[2])
local at, dead = 8, tonumber(ARGV[7])
for _ = 1, dead do
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', '1000', '*', 'l', ARGV[at], 'm', ARGV[at + 1])
  at = at + 2
end
local rooms = tonumber(ARGV[at])
redis.call('XTRIM', KEYS[3], 'MINID', '=', number(tonumber(ARGV[2]) + 1))
for i = 1, rooms do
  local head_key, ring_key, seq = KEYS[4 + 2 * i], KEYS[5 + 2 * i], tonumber(ARGV[at + 2 * i])
  local head = redis.call('HMGET', head_key, 'seq', 'stored', 'late')
  if head[1] then
    local top, stored = tonumber(head[1]), math.max(tonumber(head[2]), seq)
    redis.call('HSET', head_key, 'stored', number(stored))
    -- A row that came late, below what was stored: pages of the store that were read before miss it.
    if tonumber(ARGV[at + 2 * i - 1]) <= tonumber(head[2]) then
      redis.call('HSET', head_key, 'version', number(now_micros()))
    end
    local from = math.min(top - tonumber(ARGV[4]) + 1, stored + 1)
    if from > 1 then redis.call('XTRIM', ring_key, 'MINID', '~', number(from)) end
    -- A row that came late may be the last of the room that is not stored, and no number says so.
    local late = tonumber(string.match(head[3] or '', ' (%d+)$') or '0')
    if stored >= top and late <= tonumber(ARGV[2]) then
      redis.call('PEXPIRE', head_key, ARGV[3])
      redis.call('PEXPIRE', ring_key, ARGV[3])
    end
  end
end
for i = 6 + 2 * rooms, #KEYS do redis.call('DEL', KEYS[i]) end
-- A holder that has lost its lease may come late: what is stored stays stored.
local told = redis.call('HMGET', KEYS[4], 'epoch', 'id')
if told[1] ~= ARGV[1] or tonumber(told[2] or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[4], 'epoch', ARGV[1], 'id', ARGV[2], 'text', ARGV[6])
end
-- With the one before it: who has missed that one has missed its dead.
local before = told[1] == ARGV[1] and told[2] or '0'
redis.call('PUBLISH', ARGV[5], 'W' .. before .. ' ' .. ARGV[6])
return 'ok'
