;; Reads behind its memory.
(func (export "derive") (param i32) (result i32)
  (i32.load offset=4 (i32.const -4)))
