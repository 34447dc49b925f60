-- Pointer, meta and the documents newer than a version at one instant; nil where there is no
-- ruleset.
-- KEYS: 1 the pointer. ARGV: 1 what every key of the environment begins with, 2 the version.
local generation = redis.call('GET', KEYS[1])
if not generation then
  return nil
end
local begin = ARGV[1] .. generation
local documents = {}
for _, name in ipairs(redis.call('ZRANGE', begin .. ':index', '(' .. ARGV[2], '+inf', 'BYSCORE')) do
  documents[#documents + 1] = name
  documents[#documents + 1] = redis.call('HGET', begin .. ':documents', name)
end
return { redis.call('HGETALL', begin .. ':meta'), documents }
