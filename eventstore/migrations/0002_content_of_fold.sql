-- Which version of the fold the content was settled for: the same log gives the same documents only
-- by the same fold.
ALTER TABLE ruleset_content ADD COLUMN fold_version integer NOT NULL DEFAULT 0;
