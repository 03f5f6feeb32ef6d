-- What came late to a room, as its head keeps it: lowest and highest number, the place in the log up to which it is there, the head
-- at that time, the last late row's own place. A log is stored from its beginning: what is above its first entry is not.
local function late_of(text, log_key)
  local low, high, place, top, own = string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not low then return nil end
  local first = redis.call('XRANGE', log_key, '-', '+', 'COUNT', 1)[1]
  local is_pending = first ~= nil and tonumber(string.match(first[1], '^%d+')) <= tonumber(place)
  return { low = tonumber(low), high = tonumber(high), place = tonumber(place), top = top, own = tonumber(own), is_pending = is_pending }
end
-- Notes that the numbers from low to high came late. Whoever reads a page across them learns that it is not complete; once all is
-- stored that is in the log now, the store is read for what stands up to the head.
local function note_late(head_key, known, low, high, place, top, own)
  if known and known.is_pending then
    low, high, own = math.min(low, known.low), math.max(high, known.high), math.max(own, known.own)
  end
  redis.call('HSET', head_key, 'version', number(place),
    'late', number(low) .. ' ' .. number(high) .. ' ' .. number(place) .. ' ' .. number(top) .. ' ' .. number(own))
end
