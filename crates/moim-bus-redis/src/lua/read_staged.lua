-- What was handed in, from one place on. KEYS: generation, staged. ARGV: epoch, place, items, bytes. Answers {state, item...}.
local state = state_of(KEYS[1], ARGV[1])
local reply, bytes, from = { state }, 0, tonumber(ARGV[2])
local left, most = tonumber(ARGV[3]), tonumber(ARGV[4])
while state == 'merging' and left > 0 do
  -- In steps, so that large items are not all read for the few that fit.
  local count = math.min(left, 8)
  local step = redis.call('LRANGE', KEYS[2], from, from + count - 1)
  for _, item in ipairs(step) do
    bytes = bytes + #item
    if bytes > most and #reply > 1 then return reply end
    reply[#reply + 1] = item
  end
  if #step < count then break end
  from, left = from + count, left - count
end
return reply
