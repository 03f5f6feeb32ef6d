-- What a node still knows of the old generation. KEYS: generation, handed in, waited for, staged. ARGV: epoch, node, 1 if this is
-- all of it, ms it is kept, nodes it has seen alive (number, then names), then items. Answers the state; nothing is taken but in recovering.
local state = state_of(KEYS[1], ARGV[1])
if state ~= 'recovering' then return state end
local nodes = tonumber(ARGV[5])
for i = 6, 5 + nodes do redis.call('SADD', KEYS[3], ARGV[i]) end
for i = 6 + nodes, #ARGV do redis.call('RPUSH', KEYS[4], ARGV[i]) end
if ARGV[3] == '1' then redis.call('SADD', KEYS[2], ARGV[2]) end
for i = 2, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
return state
