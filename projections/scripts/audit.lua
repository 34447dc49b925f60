-- Meta, all documents and the index of a generation at one instant; 0 where it is not the active
-- one.
-- KEYS: 1 the pointer, 2 meta, 3 documents, 4 index. ARGV: 1 generation
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return {
  redis.call('HGETALL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES'),
}
