-- One step in writing a generation that nobody reads yet. Answers the number of the next step, or
-- 0 where the generation is not as the last step left it: it is then of no use to anybody.
-- KEYS: 1 meta, 2 documents, 3 index
-- ARGV: 1 step, 2 milliseconds until it vanishes if no other step follows,
--       3 how many arguments of meta follow (names and values), these,
--       then name, version and body of each document
local step = tonumber(ARGV[1])
local taken = redis.call('HGET', KEYS[1], 'step')
if (step == 0 and taken) or (step > 0 and taken ~= ARGV[1]) then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
  return 0
end
local last = 3 + tonumber(ARGV[3])
for at = 4, last, 2 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
end
for at = last + 1, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
  redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at])
end
redis.call('HSET', KEYS[1], 'step', step + 1)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[2])
end
return step + 1
