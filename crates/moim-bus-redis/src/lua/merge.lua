-- Rows of one room, in seq order, back into ring and log at their old numbers. KEYS: generation, an absent key, head, ring, log, answers.
-- ARGV: epoch, 1 if there is a store, then for each row: seq, prev or -, time, epoch, hash, ms its answer is kept, id, up to which
-- place the log of its generation is known to be stored or -, event.
-- Idempotent: what the room's head has passed is there already.
local state, _, lid = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
redis.call('DEL', KEYS[2])
local read = redis.call('HMGET', KEYS[3], 'seq', 'stored', 'last', 'time', 'epoch')
local head = read[1]
  and { seq = tonumber(read[1]), stored = tonumber(read[2]), last = read[3], time = tonumber(read[4]), epoch = read[5] }

-- Whether the numbers between the head and a row were only ever given to messages that are gone: sent when Redis died, heard of
-- by nobody, so their senders have no answer and send them again. All have said what they keep, and the log is stored
-- in its order: nobody knows of the head itself that it is.
local function is_next(prev, epoch, stored_to)
  return prev ~= '-' and tonumber(prev) > head.seq and epoch == head.epoch and stored_to ~= '-'
    and head.time > tonumber(stored_to) and redis.call('HGET', KEYS[1], 'missed') == '0'
end

local at = 3
for i = 6, #KEYS do
  local seq, prev, time, epoch, hash, kept, id, stored_to, event = unpack(ARGV, at, at + 8)
  at = at + 9
  if not head or tonumber(seq) > head.seq then
    local before = prev == '-' and tonumber(seq) - 1 or tonumber(prev)
    if not head then
      head = { stored = before, time = 0 }
      redis.call('DEL', KEYS[4])
    elseif is_next(prev, epoch, stored_to) then
      prev = head.last
      event = seq .. ' ' .. prev .. string.match(event, '^%S+ %S+(.*)$')
    elseif prev ~= '-' and head.last ~= prev then
      -- What is missing between is in nobody's tail, so it is stored, and what is below it too.
      head.stored = math.max(head.stored, before)
      redis.call('DEL', KEYS[4])
    end
    lid = math.max(lid + 1, now_micros())
    head.seq, head.last, head.time, head.epoch = tonumber(seq), seq, math.max(head.time, tonumber(time)), epoch
    redis.call('XADD', KEYS[4], seq .. '-0', 'm', event)
    redis.call('HSET', KEYS[3], 'seq', seq, 'epoch', epoch, 'stored', number(head.stored), 'time', number(head.time), 'last', seq,
      'version', number(now_micros()))
    if ARGV[2] == '1' then redis.call('XADD', KEYS[5], number(lid) .. '-0', 'r', KEYS[3], 'm', event) end
    redis.call('HSET', KEYS[1], 'lid', number(lid))
    start_above(KEYS[1], lid, head.seq + JUMP)
    redis.call('SET', KEYS[i], number(lid) .. ' ' .. seq .. ' ' .. epoch .. ' ' .. time .. ' ' .. hash .. ' ' .. prev .. ' ' .. id, 'PX', kept)
    redis.call('PERSIST', KEYS[3])
    redis.call('PERSIST', KEYS[4])
  end
end
return state
