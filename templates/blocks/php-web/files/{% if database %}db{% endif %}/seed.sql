INSERT INTO products (name, price_cents, stock) VALUES
    ('Fountain pen', 4900, 12),
    ('Notebook, dotted', 1250, 140),
    ('Pencil "Ada"', 180, 1000),
    ('Ruler & compass', 2375, 31),
    ('Crème blotting paper', 640, 77);
