;; Takes table elements until there are none.
(table $t 1 funcref)
(func (export "derive") (param i32) (result i32)
  (loop $again
    (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 512)) (i32.const -1))))
  (i32.const 16))
