-- Takes one event of a key when no more than most happened in the last window.
-- KEYS[1]  the events of the key that count: a sorted set, their instants as scores
-- ARGV[1]  now, Unix microseconds
-- ARGV[2]  window, microseconds
-- ARGV[3]  most, above zero
-- ARGV[4]  name of this event, unique
-- returns  {1, 0}, or {0, microseconds until one more is allowed}
local now, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- %.0f: Lua writes large numbers with 14 digits only
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
if count >= most then
  -- the event that must leave the window before one more fits
  local pair = redis.call('ZRANGE', KEYS[1], count - most, count - most, 'WITHSCORES')
  return {0, tonumber(pair[2]) + window - now}
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {1, 0}
