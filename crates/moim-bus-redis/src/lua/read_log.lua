-- The log's first entries. KEYS: generation, log. ARGV: epoch, rows, bytes. Answers {'stale'} or {'ok', id, event, ...}.
if not is_open(KEYS[1], ARGV[1]) then return { 'stale' } end
local reply, bytes, from = { 'ok' }, 0, '-'
local left, most = tonumber(ARGV[2]), tonumber(ARGV[3])
while left > 0 do
  local step = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', math.min(left, 32))
  for _, entry in ipairs(step) do
    bytes = bytes + #entry[2][4]
    if bytes > most and #reply > 1 then return reply end
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2][2]
    reply[#reply + 1] = entry[2][4]
    from = '(' .. entry[1]
  end
  left = left - 32
  if #step < 32 then break end
end
return reply
