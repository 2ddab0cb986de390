-- Sentence embeddings of explanations, of length 1, for the search by meaning. `encoder` names the sentence encoder and the
-- digest of its weights. Made when they are first needed, deleted with the explanation.
create table explanation_embedding (
    encoder text collate "C" not null,
    explanation_id text collate "C" not null references explanation (id) on delete cascade,
    embedding real[] not null,
    primary key (encoder, explanation_id)
);

-- What hangs on an explanation that is deleted.
create index explanation_embedding_of_explanation on explanation_embedding (explanation_id);
