-- Messages of one room, in order. KEYS: generation, head, ring, log, then the answer's key of each message.
-- ARGV: epoch, rows kept in the ring, 1 if there is a store, idle ms, room channel, partition channel, highest number known or -,
-- then for each message: hash of its content, ms its answer is kept, body.
-- Answers for each message: {'n', seq, prev, time, epoch}, {'d', seq, prev, time, epoch, id, same content, stored, log id}, {'s'} stale or {'i', now}: the
-- room is not in Redis, or in doubt. After the first s or i nothing more is written, so that the order of one sender holds.
-- The write that can fail comes first: a script has no rollback.
local epoch, ring_rows, has_store, idle = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local replies, events, open, lid, head, was_empty, was_idle = {}, {}, nil, nil, nil, false, false

local function duplicate(key, hash, kept)
  local known = redis.call('GET', key)
  if not known then return nil end
  redis.call('PEXPIRE', key, kept)
  local log_id, seq, of, time, its_hash, prev, id = string.match(known, '^(%d+) (%d+) (%S+) (%d+) (%S+) (%S+) (.*)$')
  local entry = log_id .. '-0'
  local stored = has_store and #redis.call('XRANGE', KEYS[4], entry, entry) == 0
  return { 'd', seq, prev, time, of, id, its_hash == hash and '1' or '0', stored and '1' or '0', log_id }
end

local function read_room()
  open, lid = is_open(KEYS[1], epoch)
  local read = redis.call('HMGET', KEYS[2], 'seq', 'epoch', 'stored', 'time', 'last', 'checked')
  local doubt = read[1] and doubt_of(epoch, read[2], read[6], tonumber(read[1]), ARGV[7])
  if not read[1] or doubt == 'ask' then return end
  head = { seq = tonumber(read[1]), epoch = read[2], stored = tonumber(read[3]), time = tonumber(read[4]), last = read[5] }
  -- Nobody can say what came last: what follows does not say it either, and then the store is asked for what stands between.
  if doubt == 'unsure' then head.last = '-' end
  was_idle = head.stored >= head.seq
  -- A new generation may not have seen the last numbers of the old one: none is used twice.
  if generation_of(head.epoch) ~= epoch then head.seq, head.epoch, head.has_jumped = head.seq + JUMP, epoch, true end
end

local function append(key, hash, kept, body)
  local time = math.max(now_micros(), lid + 1, head.time + 1)
  local seq, t = number(head.seq + 1), number(time)
  local event = seq .. ' ' .. head.last .. ' ' .. t .. ' ' .. head.epoch .. '\n' .. body
  redis.call('XADD', KEYS[3], seq .. '-0', 'm', event)
  redis.call('HSET', KEYS[2], 'seq', seq, 'epoch', head.epoch, 'time', t, 'last', seq)
  if has_store then
    was_empty = was_empty or redis.call('EXISTS', KEYS[4]) == 0 or redis.call('XLEN', KEYS[4]) == 0
    redis.call('XADD', KEYS[4], t .. '-0', 'r', KEYS[2], 'm', event)
  end
  redis.call('HSET', KEYS[1], 'lid', t)
  if head.has_jumped then
    start_above(KEYS[1], time, head.seq + JUMP)
    head.has_jumped = false
  end
  local id = string.match(body, '^(%S+)')
  redis.call('SET', key, t .. ' ' .. seq .. ' ' .. head.epoch .. ' ' .. t .. ' ' .. hash .. ' ' .. head.last .. ' ' .. id, 'PX', kept)
  events[#events + 1] = #event .. '\n' .. event
  local reply = { 'n', seq, head.last, t, head.epoch }
  head.seq, head.last, head.time, lid = head.seq + 1, seq, time, time
  return reply
end

local stopped
for i = 5, #KEYS do
  local at = 8 + (i - 5) * 3
  local reply = stopped or duplicate(KEYS[i], ARGV[at], ARGV[at + 1])
  if not reply then
    if open == nil then read_room() end
    if not open then
      stopped = { 's' }
    elseif not head then
      stopped = { 'i', number(now_micros()) }
    end
    reply = stopped or append(KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 2])
  end
  replies[#replies + 1] = reply
end

if #events > 0 then
  redis.call('PUBLISH', ARGV[5], 'M' .. table.concat(events))
  if was_empty then redis.call('PUBLISH', ARGV[6], 'D') end
  if not has_store then
    redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', ring_rows)
    redis.call('PEXPIRE', KEYS[2], idle)
    redis.call('PEXPIRE', KEYS[3], idle)
  else
    if was_idle then
      redis.call('PERSIST', KEYS[2])
      redis.call('PERSIST', KEYS[3])
    end
    -- The newest rows, and everything that is not stored.
    local from = math.min(head.seq - ring_rows + 1, head.stored + 1)
    if from > 1 then redis.call('XTRIM', KEYS[3], 'MINID', '~', number(from)) end
  end
end
return replies
