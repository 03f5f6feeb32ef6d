-- The head and the newest rows, or those below a number. KEYS: generation, head, ring, log. ARGV: epoch, rows, bytes, below ('+': the newest), highest
-- number known or -.
-- Answers {'stale'}, {'init', now} (not here, or in doubt) or {'ok', seq, epoch, last, stored, version, lowest and highest number that came late and is not
-- stored yet or '', row...}, newest row first.
if not is_open(KEYS[1], ARGV[1]) then return { 'stale' } end
local head = redis.call('HMGET', KEYS[2], 'seq', 'epoch', 'last', 'stored', 'version', 'late', 'checked')
local doubt = head[1] and doubt_of(ARGV[1], head[2], head[7], tonumber(head[1]), ARGV[5])
if not head[1] or doubt == 'ask' then return { 'init', number(now_micros()) } end
if doubt == 'unsure' then head[3] = '-' end
local late, version, to, pending = late_of(head[6], KEYS[4]), head[5], '-', ''
if late and late.is_pending then
  pending = number(late.low) .. ' ' .. number(late.high)
elseif late then
  -- Up to there rows lead past what came late. All of it is stored by now, and read from the store nothing is missing.
  version, to = number(math.max(tonumber(version), late.place + 1)), '(' .. late.top .. '-0'
end
local reply, bytes, from = { 'ok', head[1], head[2], head[3], head[4], version, pending }, 0, ARGV[4]
local left, most = tonumber(ARGV[2]), tonumber(ARGV[3])
while left > 0 do
  -- In steps, so that large messages are not all read for the few that fit.
  local step = redis.call('XREVRANGE', KEYS[3], from, to, 'COUNT', math.min(left, 16))
  for _, row in ipairs(step) do
    bytes = bytes + #row[2][2]
    if bytes > most and #reply > 7 then return reply end
    reply[#reply + 1] = row[2][2]
    from = '(' .. row[1]
  end
  left = left - 16
  if #step < 16 then break end
end
return reply
