-- Answers of the last minute, so that a resend is not a second message; those of who comes late, too. KEYS: generation, an absent
-- key, answers. ARGV: epoch, ms kept, state in which they are wanted, values.
local state = state_of(KEYS[1], ARGV[1])
if state ~= ARGV[3] then return state end
redis.call('DEL', KEYS[2])
for i = 3, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 1], 'NX', 'PX', ARGV[2]) end
return state
