-- Reads the load list.
-- KEYS[1]  when each node reported last: a sorted set of names
-- KEYS[2]  the reports: a hash by name; the same hash tag as KEYS[1]
-- ARGV[1]  now, Unix microseconds
-- ARGV[2]  how long a report counts, microseconds
-- returns  the reports that count, JSON
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', tonumber(ARGV[1]) - tonumber(ARGV[2])), '+inf')
if #names == 0 then
  return {}
end
return redis.call('HMGET', KEYS[2], unpack(names))
