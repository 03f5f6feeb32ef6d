-- All have handed in, or those who have not are given up (`missed`): from now on what is staged is merged. KEYS: generation, an
-- absent key, staged. ARGV: epoch, ms to wait for the silent, round, a node that has handed in.
local state, since, _, waited, handed, items = state_of(KEYS[1], ARGV[1])
if state ~= 'recovering' then return state end
if number(since) ~= ARGV[3] or not string.find(handed, ' ' .. ARGV[4] .. ' ', 1, true) then return 'another round' end
redis.call('DEL', KEYS[2])
if items > 0 and redis.call('EXISTS', KEYS[3]) == 0 then
  begin_anew(KEYS[1], KEYS[3])
  return 'another round'
end
local missed = '0'
for node in string.gmatch(waited, '%S+') do
  if not string.find(handed, ' ' .. node .. ' ', 1, true) then missed = '1' end
end
if missed == '1' and now_micros() - since < tonumber(ARGV[2]) * 1000 then return 'waiting' end
redis.call('HSET', KEYS[1], 'state', 'merging', 'missed', missed)
return 'merging'
