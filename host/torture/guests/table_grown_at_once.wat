;; Takes 100,000 table elements.
(table $t 1 funcref)
(func (export "derive") (param i32) (result i32)
  (drop (table.grow $t (ref.null func) (i32.const 100000)))
  (i32.const 16))
