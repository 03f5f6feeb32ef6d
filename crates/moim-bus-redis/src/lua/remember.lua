-- Answers of the last minute, so that a resend is not a second message; those of who comes late, too. KEYS: generation, an absent key, answers. ARGV: epoch, ms kept, values.
local state = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' and state ~= 'open' then return state end
redis.call('DEL', KEYS[2])
for i = 3, #KEYS do redis.call('SET', KEYS[i], ARGV[i], 'NX', 'PX', ARGV[2]) end
return state
