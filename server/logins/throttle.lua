-- Count an attempt (take), take one back (give), or forget all (clear).
-- KEYS[1] the counter; ARGV: what to do, the limit, the window in milliseconds.
-- Answers how many milliseconds to wait, 0 for none.
local key, what = KEYS[1], ARGV[1]
if what == 'clear' then
    redis.call('DEL', key)
    return 0
end
local count = tonumber(redis.call('GET', key) or '0')
if what == 'give' then
    if count > 0 then
        redis.call('DECR', key)
    end
    return 0
end
local left = redis.call('PTTL', key)
if count >= tonumber(ARGV[2]) and left > 0 then
    return left
end
redis.call('INCR', key)
if left < 0 then
    redis.call('PEXPIRE', key, ARGV[3])
end
return 0
