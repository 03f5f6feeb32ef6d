-- What a node still knows of the old generation. KEYS: generation, an absent key, staged. ARGV: epoch, round, node, 1 if this is
-- all of it, nodes it has seen alive (number, then names), then items. Answers the state; nothing is taken but in recovering.
-- DEL first: Redis at maxmemory refuses a script's first write, but not this one, and until the generation opens nothing is drained.
local state, since, _, waited, handed, items = state_of(KEYS[1], ARGV[1])
if state ~= 'recovering' then return state end
if number(since) ~= ARGV[2] then return 'another round' end
redis.call('DEL', KEYS[2])
local nodes = tonumber(ARGV[5])
for i = 6, 5 + nodes do waited = with(waited, ARGV[i]) end
for i = 6 + nodes, #ARGV do
  items = items + 1
  if redis.call('RPUSH', KEYS[3], ARGV[i]) ~= items then
    begin_anew(KEYS[1], KEYS[3])
    return 'another round'
  end
end
if ARGV[4] == '1' then handed = with(handed, ARGV[3]) end
redis.call('HSET', KEYS[1], 'waited', waited, 'handed', handed, 'items', number(items))
return state
