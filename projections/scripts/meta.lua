-- The meta of the active generation, as a flat list of names and values; nil where there is none.
-- KEYS: 1 the pointer. ARGV: 1 what every key of the environment begins with.
local generation = redis.call('GET', KEYS[1])
if not generation then
  return nil
end
return redis.call('HGETALL', ARGV[1] .. generation .. ':meta')
