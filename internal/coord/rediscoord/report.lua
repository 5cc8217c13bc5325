-- Puts a node's report into the load list and takes out those that are over.
-- KEYS[1]  when each node reported last: a sorted set of names
-- KEYS[2]  the reports: a hash by name; the same hash tag as KEYS[1]
-- ARGV[1]  now, Unix microseconds
-- ARGV[2]  how long a report counts, microseconds
-- ARGV[3]  the node's name
-- ARGV[4]  its report, JSON
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', tonumber(ARGV[1]) - tonumber(ARGV[2])))
for _, name in ipairs(over) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
local keep = math.ceil(tonumber(ARGV[2]) / 500) -- twice as long
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('PEXPIRE', KEYS[2], keep)
return 0
