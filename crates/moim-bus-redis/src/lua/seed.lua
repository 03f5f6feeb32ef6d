-- A room that is not in Redis, or in doubt, as the store knows it. KEYS: generation, head, ring, then answers. ARGV: epoch, the time of the
-- answer that said it is not here, the age in us from which on that is too old, seq, its epoch ('': the store could not be asked,
-- and it starts by the clock, above seq), last seq or -, time, idle ms, number of rows, then seq and event of each row, then
-- value and kept ms of each answer.
-- First wins. An old seed could bring back an old head: hence the age, less than the shortest time a head is kept.
-- Answers 'stale', 'ok', 'old', or 'later': what is here has to be stored first.
local open, lid = is_open(KEYS[1], ARGV[1])
if not open then return 'stale' end
local here = redis.call('HMGET', KEYS[2], 'seq', 'epoch', 'stored', 'time', 'checked')
if here[1] then
  if generation_of(here[2]) == ARGV[1] or here[5] == ARGV[1] then return 'ok' end
  -- First, as Redis at maxmemory refuses a script's first write, but not this one.
  redis.call('HDEL', KEYS[2], 'checked')
  local is_behind = ARGV[5] ~= '' and ARGV[9] ~= '0' and tonumber(ARGV[4]) > tonumber(here[1])
  -- Rows that are not stored stand in the ring alone, and what the store has goes beyond them.
  if is_behind and tonumber(here[3]) < tonumber(here[1]) then return 'later' end
  if not is_behind then
    redis.call('HSET', KEYS[2], 'checked', ARGV[5] == '' and ARGV[1] .. '?' .. number(now_micros()) or ARGV[1])
    return 'ok'
  end
elseif now_micros() - tonumber(ARGV[2]) > tonumber(ARGV[3]) then
  return 'old'
end
local rows, at = tonumber(ARGV[9]), 10
redis.call('DEL', KEYS[3])
for _ = 1, rows do
  redis.call('XADD', KEYS[3], ARGV[at] .. '-0', 'm', ARGV[at + 1])
  at = at + 2
end
for i = 4, #KEYS do
  redis.call('SET', KEYS[i], ARGV[at], 'PX', ARGV[at + 1], 'NX')
  at = at + 2
end
local seq, of = ARGV[4], ARGV[5]
if of == '' then
  local start, known = clock(lid) + ahead_of_clock(KEYS[1]), tonumber(seq)
  if known >= start then
    start = known + JUMP
    start_above(KEYS[1], lid, start)
  end
  -- An epoch of its own: what was before is not the number before, and within an epoch numbers have no holes.
  seq, of = number(start), ARGV[1] .. '.' .. number(start)
end
redis.call('HSET', KEYS[2], 'seq', seq, 'epoch', of, 'stored', seq, 'time', number(math.max(tonumber(ARGV[7]), tonumber(here[4] or '0'))), 'last', ARGV[6], 'version', number(now_micros()),
  'checked', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
redis.call('PEXPIRE', KEYS[3], ARGV[8])
return 'ok'
