// SPDX-License-Identifier: Apache-2.0
//
// The kernel axle_lz4_compress: one run makes one LZ4 block of 0 to 65536 bytes, with the ports that the Vitis flow
// wants of an RTL kernel.
//
// Arguments, by index: 0 input, 1 output (addresses, multiples of 8), 2 record (a multiple of 16; lower bits are not
// looked at), 3 input bytes, 4 output bytes at most. The record, 16 bytes, little-endian words:
//   0  status: 1 done; 2 it would take more than the output may have, and its bytes there are of no use;
//      3 refused, nothing was read: too many bytes, or an address that is no multiple of 8; 4 an access failed on the bus
//   1  bytes of the block, also where they did not fit
//   2  cycles from the start of the run until the block was made
//   3  the version of this interface
// The record is written last. No run writes anything else outside of the output.
module axle_lz4_compress (
    input logic ap_clk,
    input logic ap_rst_n,
    /* verilator lint_off SYMRSVDWORD */
    output logic interrupt,  // the name that the flow wants
    /* verilator lint_on SYMRSVDWORD */

    input logic s_axi_control_awvalid,
    output logic s_axi_control_awready,
    input logic [11:0] s_axi_control_awaddr,
    input logic s_axi_control_wvalid,
    output logic s_axi_control_wready,
    input logic [31:0] s_axi_control_wdata,
    input logic [3:0] s_axi_control_wstrb,
    output logic s_axi_control_bvalid,
    input logic s_axi_control_bready,
    output logic [1:0] s_axi_control_bresp,
    input logic s_axi_control_arvalid,
    output logic s_axi_control_arready,
    input logic [11:0] s_axi_control_araddr,
    output logic s_axi_control_rvalid,
    input logic s_axi_control_rready,
    output logic [31:0] s_axi_control_rdata,
    output logic [1:0] s_axi_control_rresp,

    output logic m_axi_gmem_awvalid,
    input logic m_axi_gmem_awready,
    output logic [63:0] m_axi_gmem_awaddr,
    output logic [7:0] m_axi_gmem_awlen,
    output logic [2:0] m_axi_gmem_awsize,
    output logic [1:0] m_axi_gmem_awburst,
    output logic m_axi_gmem_wvalid,
    input logic m_axi_gmem_wready,
    output logic [63:0] m_axi_gmem_wdata,
    output logic [7:0] m_axi_gmem_wstrb,
    output logic m_axi_gmem_wlast,
    input logic m_axi_gmem_bvalid,
    output logic m_axi_gmem_bready,
    input logic [1:0] m_axi_gmem_bresp,
    output logic m_axi_gmem_arvalid,
    input logic m_axi_gmem_arready,
    output logic [63:0] m_axi_gmem_araddr,
    output logic [7:0] m_axi_gmem_arlen,
    output logic [2:0] m_axi_gmem_arsize,
    output logic [1:0] m_axi_gmem_arburst,
    input logic m_axi_gmem_rvalid,
    output logic m_axi_gmem_rready,
    input logic [63:0] m_axi_gmem_rdata,
    input logic [1:0] m_axi_gmem_rresp,
    input logic m_axi_gmem_rlast
);
  localparam logic [31:0] StatusDone = 32'd1;
  localparam logic [31:0] StatusDoesNotFit = 32'd2;
  localparam logic [31:0] StatusRefused = 32'd3;
  localparam logic [31:0] StatusBusError = 32'd4;
  localparam logic [31:0] InterfaceVersion = 32'd1;
  localparam logic [63:0] BlockBytesMax = 64'd65536;
  localparam int unsigned SequenceBits = 1 + 17 + 17 + 16;
  localparam int unsigned SequenceDepthBits = 5;
  localparam int unsigned WordDepthBits = 6;

  assign m_axi_gmem_awsize = 3'd3;
  assign m_axi_gmem_arsize = 3'd3;
  assign m_axi_gmem_awburst = 2'b01;
  assign m_axi_gmem_arburst = 2'b01;
  wire unused = &{1'b0, m_axi_gmem_rlast, arguments[2][3:0]};

  logic reset;
  always_ff @(posedge ap_clk) reset <= !ap_rst_n;

  // ---- the run ------------------------------------------------------------------------------------

  logic start, stored, finder_ready;
  logic running, refused;
  logic [63:0] arguments[5];
  logic [31:0] cycles;

  wire begin_run = start && !running && finder_ready && !stored;
  wire refuse = arguments[3] > BlockBytesMax || arguments[0][2:0] != '0 || arguments[1][2:0] != '0;
  wire begin_block = begin_run && !refuse;
  wire [16:0] begin_bytes = arguments[3][16:0];
  logic [16:0] bytes;
  logic [31:0] output_max;
  logic [63:0] record_address;

  always_ff @(posedge ap_clk) begin
    if (reset) begin
      running <= 1'b0;
      refused <= 1'b0;
      bytes <= '0;
      output_max <= '0;
      record_address <= '0;
      cycles <= '0;
    end else if (begin_run) begin
      running <= 1'b1;
      refused <= refuse;
      bytes <= begin_bytes;
      output_max <= arguments[4][63:32] != '0 ? '1 : arguments[4][31:0];
      record_address <= {arguments[2][63:4], 4'b0};
      cycles <= '0;
    end else begin
      if (stored) running <= 1'b0;
      if (!packed_all) cycles <= cycles + 32'd1;
    end
  end

  control_registers control (
      .clk(ap_clk),
      .reset,
      .s_axi_awvalid(s_axi_control_awvalid),
      .s_axi_awready(s_axi_control_awready),
      .s_axi_awaddr(s_axi_control_awaddr),
      .s_axi_wvalid(s_axi_control_wvalid),
      .s_axi_wready(s_axi_control_wready),
      .s_axi_wdata(s_axi_control_wdata),
      .s_axi_wstrb(s_axi_control_wstrb),
      .s_axi_bvalid(s_axi_control_bvalid),
      .s_axi_bready(s_axi_control_bready),
      .s_axi_bresp(s_axi_control_bresp),
      .s_axi_arvalid(s_axi_control_arvalid),
      .s_axi_arready(s_axi_control_arready),
      .s_axi_araddr(s_axi_control_araddr),
      .s_axi_rvalid(s_axi_control_rvalid),
      .s_axi_rready(s_axi_control_rready),
      .s_axi_rdata(s_axi_control_rdata),
      .s_axi_rresp(s_axi_control_rresp),
      .interrupt,
      .start,
      .idle(!running && !start),
      .done(stored),
      .arguments
  );

  // ---- the block in ---------------------------------------------------------------------------------

  logic block_write;
  logic [12:0] block_word;
  logic [63:0] block_data;
  logic [16:0] loaded;
  logic load_failed;

  block_loader loader (
      .clk(ap_clk),
      .reset,
      .begin_block,
      .address(arguments[0]),
      .bytes(begin_bytes),
      .m_axi_arvalid(m_axi_gmem_arvalid),
      .m_axi_arready(m_axi_gmem_arready),
      .m_axi_araddr(m_axi_gmem_araddr),
      .m_axi_arlen(m_axi_gmem_arlen),
      .m_axi_rvalid(m_axi_gmem_rvalid),
      .m_axi_rready(m_axi_gmem_rready),
      .m_axi_rdata(m_axi_gmem_rdata),
      .m_axi_rresp(m_axi_gmem_rresp),
      .write(block_write),
      .write_word(block_word),
      .write_data(block_data),
      .loaded,
      .failed(load_failed)
  );

  // Three readers at three places, so three copies.
  logic [15:0] current_byte, earlier_byte, literal_byte;
  logic [63:0] current_window, earlier_window, literal_window;
  logic search_read;
  window_ram current_ram (
      .clk(ap_clk), .write(block_write), .write_word(block_word), .write_data(block_data),
      .read(search_read), .read_byte(current_byte), .window(current_window)
  );
  window_ram earlier_ram (
      .clk(ap_clk), .write(block_write), .write_word(block_word), .write_data(block_data),
      .read(search_read), .read_byte(earlier_byte), .window(earlier_window)
  );
  window_ram literal_ram (
      .clk(ap_clk), .write(block_write), .write_word(block_word), .write_data(block_data),
      .read(1'b1), .read_byte(literal_byte), .window(literal_window)
  );

  // ---- its sequences --------------------------------------------------------------------------------

  logic found_push, found_take;
  logic [SequenceBits-1:0] found, oldest;
  logic [SequenceDepthBits:0] found_count;

  match_finder finder (
      .clk(ap_clk),
      .reset,
      .ready(finder_ready),
      .begin_block,
      .bytes,
      .loaded,
      .read(search_read),
      .current_byte,
      .current_window,
      .earlier_byte,
      .earlier_window,
      .room(!found_count[SequenceDepthBits]),
      .push(found_push),
      .last(found[50]),
      .literals(found[49:33]),
      .match_bytes(found[32:16]),
      .offset(found[15:0])
  );

  stream_fifo #(
      .Width(SequenceBits),
      .DepthBits(SequenceDepthBits)
  ) sequences (
      .clk(ap_clk), .reset, .push(found_push), .in(found), .pop(found_take), .out(oldest),
      .count(found_count)
  );

  logic piece_room, all_written;
  logic [3:0] piece_count;
  logic [63:0] piece;

  sequence_writer writer (
      .clk(ap_clk),
      .reset,
      .begin_block,
      .available(found_count != '0),
      .take(found_take),
      .last(oldest[50]),
      .literals(oldest[49:33]),
      .match_bytes(oldest[32:16]),
      .offset(oldest[15:0]),
      .literal_byte,
      .literal_window,
      .room(piece_room),
      .count(piece_count),
      .data(piece),
      .finished(all_written)
  );

  // ---- the block out ----------------------------------------------------------------------------------

  logic word_push, word_take, packed_all, store_failed;
  logic [63:0] word;
  logic [7:0] strobe;
  logic [71:0] oldest_word;
  logic [WordDepthBits:0] word_count;
  logic [31:0] total;

  word_packer packer (
      .clk(ap_clk),
      .reset,
      .begin_block,
      .total_max(output_max),
      .room(piece_room),
      .count(piece_count),
      .data(piece),
      .finish(all_written),
      // One may be on its way here.
      .word_room(word_count < (WordDepthBits + 1)'(2 ** WordDepthBits - 2)),
      .push(word_push),
      .word,
      .strobe,
      .total,
      .finished(packed_all)
  );

  stream_fifo #(
      .Width(72),
      .DepthBits(WordDepthBits)
  ) words (
      .clk(ap_clk), .reset, .push(word_push), .in({strobe, word}), .pop(word_take),
      .out(oldest_word), .count(word_count)
  );

  logic [31:0] status;
  always_comb begin
    status = StatusDone;
    if (total > output_max) status = StatusDoesNotFit;
    if (load_failed || store_failed) status = StatusBusError;
    if (refused) status = StatusRefused;
  end

  block_storer storer (
      .clk(ap_clk),
      .reset,
      .begin_block(begin_run),
      .address({arguments[1][63:3], 3'b0}),
      .available(word_count),
      .all_available(running && (refused || (packed_all && !word_push))),
      .take(word_take),
      .word(oldest_word[63:0]),
      .word_strobe(oldest_word[71:64]),
      .record_address,
      .record({InterfaceVersion, refused ? 32'd0 : cycles, refused ? 32'd0 : total, status}),
      .failed(store_failed),
      .finished(stored),
      .m_axi_awvalid(m_axi_gmem_awvalid),
      .m_axi_awready(m_axi_gmem_awready),
      .m_axi_awaddr(m_axi_gmem_awaddr),
      .m_axi_awlen(m_axi_gmem_awlen),
      .m_axi_wvalid(m_axi_gmem_wvalid),
      .m_axi_wready(m_axi_gmem_wready),
      .m_axi_wdata(m_axi_gmem_wdata),
      .m_axi_wstrb(m_axi_gmem_wstrb),
      .m_axi_wlast(m_axi_gmem_wlast),
      .m_axi_bvalid(m_axi_gmem_bvalid),
      .m_axi_bready(m_axi_gmem_bready),
      .m_axi_bresp(m_axi_gmem_bresp)
  );
endmodule
