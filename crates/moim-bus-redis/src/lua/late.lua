-- A row handed in when the new generation was open already. KEYS: generation, an absent key, head, ring, log, answer. ARGV: epoch,
-- room channel, seq, epoch of the row, time, hash, ms its answer is kept, prev or -, id, event, partition channel, 1 if there is a store.
-- Answers {'stale'}, {'init', now}: the room is not in Redis, or {'known' or 'dropped' or 'taken', the log's newest id}.
local open, lid = is_open(KEYS[1], ARGV[1])
if not open then return { 'stale' } end
redis.call('DEL', KEYS[2])
local seq, prev, event, has_store = tonumber(ARGV[3]), ARGV[8], ARGV[10], ARGV[12] == '1'
local known = redis.call('GET', KEYS[6])
if known then
  return { string.match(known, '^%d+ (%d+) ') == ARGV[3] and 'known' or 'dropped', number(lid) }
end
-- A head made of this row could be below what the store has: numbers would be used twice.
local read = redis.call('HMGET', KEYS[3], 'seq', 'last', 'time', 'late')
if not read[1] then return { 'init', number(now_micros()) } end
local id, top = ARGV[3] .. '-0', tonumber(read[1])
-- What is not in the ring up to the head was stored before it left it.
if seq == top or #redis.call('XRANGE', KEYS[4], id, id) > 0 then return { 'known', number(lid) } end
local late = late_of(read[4], KEYS[5])
lid = math.max(lid + 1, now_micros())
local place = number(lid)
if seq > top then
  redis.call('XADD', KEYS[4], id, 'm', event)
  redis.call('HSET', KEYS[3], 'seq', ARGV[3], 'epoch', ARGV[4], 'last', ARGV[3],
    'time', number(math.max(tonumber(read[3]), tonumber(ARGV[5]))))
end
if has_store then
  redis.call('XADD', KEYS[5], place .. '-0', 'r', KEYS[3], 'm', event)
  -- Below the head, or over something that is not here.
  if seq < top then
    note_late(KEYS[3], late, seq, seq, lid, top, lid)
  elseif read[2] ~= prev then
    note_late(KEYS[3], late, top + 1, seq, lid, seq, lid)
  end
  redis.call('PERSIST', KEYS[3])
  redis.call('PERSIST', KEYS[4])
end
redis.call('HSET', KEYS[1], 'lid', place)
start_above(KEYS[1], lid, seq + JUMP)
redis.call('SET', KEYS[6], place .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. prev .. ' ' .. ARGV[9], 'PX', ARGV[7])
redis.call('PUBLISH', ARGV[2], 'L' .. #event .. '\n' .. event)
redis.call('PUBLISH', ARGV[11], 'D')
return { 'taken', place }
