-- Answers of the last minute, so that a resend is not a second message. KEYS: generation, answers. ARGV: epoch, ms kept, values.
local state = state_of(KEYS[1], ARGV[1])
if state ~= 'merging' then return state end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 1], 'NX', 'PX', ARGV[2]) end
return state
