;; Takes 4 GiB of memory.
(func (export "derive") (param i32) (result i32)
  (drop (memory.grow (i32.const 65535)))
  (i32.const 16))
