-- Meta and the documents newer than a version at one instant; 0 where the generation is not the
-- active one.
-- KEYS: 1 the pointer, 2 meta, 3 documents, 4 index. ARGV: 1 generation, 2 the version
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local documents = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[4], '(' .. ARGV[2], '+inf', 'BYSCORE')) do
  documents[#documents + 1] = name
  documents[#documents + 1] = redis.call('HGET', KEYS[3], name)
end
return { redis.call('HGETALL', KEYS[2]), documents }
