-- Dead letters, newest first. KEYS: dead letters. ARGV: where to begin ('+': the newest), a place in the log, how many at most.
-- Answers {where to go on, 'above': all that are above the place are named, or 'end': there are no more, message ids...}.
local letters = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[3])
local is_last = #letters < tonumber(ARGV[3])
local reply = { is_last and 'end' or '(' .. letters[#letters][1] }
for _, letter in ipairs(letters) do
  if tonumber(letter[2][2]) <= tonumber(ARGV[2]) then
    reply[1] = 'above'
    return reply
  end
  reply[#reply + 1] = string.match(letter[2][4], '\n(%S+) ')
end
return reply
