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
-- The generation that a room's epoch is of: one that started by the clock has an epoch of its own within it.
local function generation_of(epoch) return string.match(epoch, '^[^.]*') end
-- How long a store that did not say how far a room went is not asked again.
local UNSURE_MICROS = 10000000
-- Whether only the store can say how far a room went: its head is of an older generation, of which Redis may have lost the end,
-- nobody has asked in this one (`checked`), and whoever wants to know (`known`: the highest number it has seen, or '-') has not had the
-- room open since, or knows of more. Answers 'none', 'ask', or 'unsure': it was asked a moment ago, and did not say.
local function doubt_of(epoch, of, checked, seq, known)
  if generation_of(of) == epoch or checked == epoch then return 'none' end
  if known ~= '-' and tonumber(known) <= seq then return 'none' end
  local asked = checked and string.match(checked, '^' .. epoch .. '%?(%d+)$')
  return asked and now_micros() - tonumber(asked) < UNSURE_MICROS and 'unsure' or 'ask'
end
-- Apart from every number that one generation can use in a room.
local JUMP = 4294967296
-- Where a room starts of which nobody can say where it was: by the clock, at a pace that no room outruns, and as far ahead of it
-- as any room of the partition has jumped. A jump is seventy minutes of that clock, so without this a room that jumped and
-- fell silent would start below its own numbers, and those who have seen them would take what follows for old.
local function clock(newest) return math.floor(math.max(now_micros(), newest) / 1000) * 1024 end
local function ahead_of_clock(gen_key) return tonumber(redis.call('HMGET', gen_key, 'ahead')[1] or '0') end
-- No room starts by the clock below this number from now on. `newest`: the log's newest id.
local function start_above(gen_key, newest, seq)
  local ahead = seq - clock(newest)
  if ahead > ahead_of_clock(gen_key) then redis.call('HSET', gen_key, 'ahead', number(ahead)) end
end
