// SPDX-License-Identifier: Apache-2.0
//
// The AXI4-Lite registers that XRT drives a kernel by, with the protocol ap_ctrl_hs:
//   0x00  bit 0 start (stays set until the run ends), 1 done (a read clears it), 2 idle, 3 ready (as done)
//   0x04  bit 0 interrupts reach the pin      0x08  bits 0, 1 done and ready raise one
//   0x0c  bits 0, 1 raised; writing 1 toggles
//   0x10  arguments, 64 bits each: input, output, result, input bytes, output bytes at most
module control_registers (
    input logic clk,
    input logic reset,

    input logic s_axi_awvalid,
    output logic s_axi_awready,
    input logic [11:0] s_axi_awaddr,
    input logic s_axi_wvalid,
    output logic s_axi_wready,
    input logic [31:0] s_axi_wdata,
    input logic [3:0] s_axi_wstrb,
    output logic s_axi_bvalid,
    input logic s_axi_bready,
    output logic [1:0] s_axi_bresp,
    input logic s_axi_arvalid,
    output logic s_axi_arready,
    input logic [11:0] s_axi_araddr,
    output logic s_axi_rvalid,
    input logic s_axi_rready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0] s_axi_rresp,
    output logic interrupt,

    output logic start,
    input logic idle,
    input logic done,  // one cycle
    output logic [63:0] arguments[5]
);
  localparam int unsigned ArgumentWords = 10;
  localparam logic [9:0] FirstArgument = 10'h4;

  logic [31:0] words[ArgumentWords];
  logic done_seen, ready_seen;
  logic interrupt_on;
  logic [1:0] interrupt_enable, interrupt_raised;

  for (genvar i = 0; i < 5; i++) begin : gen_arguments
    assign arguments[i] = {words[2*i+1], words[2*i]};
  end

  // One access at a time each way.
  wire write = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  wire read = s_axi_arvalid && !s_axi_rvalid;
  wire [9:0] write_at = s_axi_awaddr[11:2];
  wire [9:0] read_at = s_axi_araddr[11:2];
  wire [9:0] write_argument = write_at - FirstArgument;
  wire [9:0] read_argument = read_at - FirstArgument;
  assign s_axi_awready = write;
  assign s_axi_wready = write;
  assign s_axi_arready = read;
  assign s_axi_bresp = 2'b00;
  assign s_axi_rresp = 2'b00;
  assign interrupt = interrupt_on && |interrupt_raised;

  wire unused = &{1'b0, s_axi_awaddr[1:0], s_axi_araddr[1:0]};

  logic [31:0] read_data;
  always_comb begin
    read_data = '0;
    case (read_at)
      10'h0: read_data[3:0] = {ready_seen, idle, done_seen, start};
      10'h1: read_data[0] = interrupt_on;
      10'h2: read_data[1:0] = interrupt_enable;
      10'h3: read_data[1:0] = interrupt_raised;
      default: if (read_argument < 10'(ArgumentWords)) read_data = words[read_argument[3:0]];
    endcase
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      s_axi_bvalid <= 1'b0;
      s_axi_rvalid <= 1'b0;
      s_axi_rdata <= '0;
      start <= 1'b0;
      done_seen <= 1'b0;
      ready_seen <= 1'b0;
      interrupt_on <= 1'b0;
      interrupt_enable <= '0;
      interrupt_raised <= '0;
      for (int i = 0; i < ArgumentWords; i++) words[i] <= '0;
    end else begin
      if (write) s_axi_bvalid <= 1'b1;
      else if (s_axi_bready) s_axi_bvalid <= 1'b0;
      if (read) begin
        s_axi_rvalid <= 1'b1;
        s_axi_rdata  <= read_data;
      end else if (s_axi_rready) s_axi_rvalid <= 1'b0;

      if (read && read_at == 10'h0) begin
        done_seen  <= 1'b0;
        ready_seen <= 1'b0;
      end
      if (write) begin
        if (write_at == 10'h0 && s_axi_wstrb[0] && s_axi_wdata[0]) start <= 1'b1;
        if (write_at == 10'h1 && s_axi_wstrb[0]) interrupt_on <= s_axi_wdata[0];
        if (write_at == 10'h2 && s_axi_wstrb[0]) interrupt_enable <= s_axi_wdata[1:0];
        if (write_at == 10'h3 && s_axi_wstrb[0])
          interrupt_raised <= interrupt_raised ^ s_axi_wdata[1:0];
        if (write_at >= FirstArgument && write_argument < 10'(ArgumentWords))
          for (int i = 0; i < 4; i++)
          if (s_axi_wstrb[i]) words[write_argument[3:0]][8*i+:8] <= s_axi_wdata[8*i+:8];
      end
      // Last, so that an end in the cycle of a read is seen by the next one.
      if (done) begin
        start <= 1'b0;
        done_seen <= 1'b1;
        ready_seen <= 1'b1;
        interrupt_raised <= interrupt_raised | interrupt_enable;
      end
    end
  end
endmodule
