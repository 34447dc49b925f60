-- Pointer, meta, all documents and the index at one instant; nil where there is no ruleset.
-- KEYS: 1 the pointer. ARGV: 1 what every key of the environment begins with.
local generation = redis.call('GET', KEYS[1])
if not generation then
  return nil
end
local begin = ARGV[1] .. generation
return {
  redis.call('HGETALL', begin .. ':meta'),
  redis.call('HGETALL', begin .. ':documents'),
  redis.call('ZRANGE', begin .. ':index', 0, -1, 'WITHSCORES'),
}
